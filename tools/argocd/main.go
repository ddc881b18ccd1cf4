// Command argocd is the part of Argo CD that syncs, in one program, as a judge in tests: by its first argument it is
// application-controller or repo-server, and everything after it are that program's own arguments.
//
//	argocd repo-server --address 127.0.0.1 --port 8081
//	argocd application-controller --kubeconfig admin.conf --repo-server 127.0.0.1:8081
//
// They are the upstream programs, unchanged. It deliberately holds no API server, no web pages and no defaults of its
// own: who starts a program says everything, and a Redis and a Kubernetes are there already.
package main

import (
	"fmt"
	"os"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
)

// exitUsage is the exit code for a missing or unknown program name, as in sysexits.h.
const exitUsage = 64

func main() {
	if len(os.Args) < 2 {
		usage("no program named")
	}
	newCommand, known := map[string]func() *cobra.Command{
		"application-controller": controller.NewCommand,
		"repo-server":            reposerver.NewCommand,
	}[os.Args[1]]
	if !known {
		usage(fmt.Sprintf("unknown program %q", os.Args[1]))
	}
	// Each finds its name and arguments in os.Args, as it would alone.
	os.Args = os.Args[1:]
	if newCommand().Execute() != nil {
		os.Exit(1)
	}
}

func usage(problem string) {
	const programs = "application-controller or repo-server"
	fmt.Fprintf(os.Stderr, "argocd: %s; usage: argocd PROGRAM [ARGUMENT]..., where PROGRAM is %s\n", problem, programs)
	os.Exit(exitUsage)
}
