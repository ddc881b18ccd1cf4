// Command kube is a Kubernetes control plane in one program, for tests and the sandbox: by its first argument it is
// etcd, etcdutl, kube-apiserver, kube-controller-manager, kube-scheduler or kubectl, and everything after it are that
// program's own arguments.
//
//	kube etcd --data-dir /tmp/etcd
//	kube kubectl --kubeconfig admin.conf get nodes
//
// They are the upstream programs, unchanged, but that etcdutl has its snapshot commands alone; one program instead of
// six shares what they have in common, so it builds in a third of the time and the space. It deliberately holds no kubelet, no container runtime and no
// defaults of its own: who starts a program says everything.
//
// The version that the Kubernetes programs report is stamped by the linker; `cargo xtask` builds it so, from the
// version of k8s.io/kubernetes in go.mod.
package main

import (
	"fmt"
	"os"
	"slices"
	_ "time/tzdata" // a CronJob may name a time zone that the host does not have

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/etcdutl/v3/etcdutl"
	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubectl's credential plugins
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics on /metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // build information on /metrics
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// exitUsage is the exit code for a missing or unknown program name, as in sysexits.h.
const exitUsage = 64

// programs maps each first argument to what runs it. Each finds its name and arguments in os.Args, as it would alone,
// and returns only when it has ended well.
var programs = map[string]func(){
	"etcd":                    func() { etcdmain.Main(os.Args) },
	"etcdutl":                 serve(newEtcdutlCommand),
	"kube-apiserver":          serve(apiserver.NewAPIServerCommand),
	"kube-controller-manager": serve(controllermanager.NewControllerManagerCommand),
	"kube-scheduler":          serve(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubectl":                 runKubectl,
}

func main() {
	if len(os.Args) < 2 {
		usage("no program named")
	}
	run, known := programs[os.Args[1]]
	if !known {
		usage(fmt.Sprintf("unknown program %q", os.Args[1]))
	}
	os.Args = os.Args[1:]
	run()
}

// serve runs a Kubernetes server to its end. The command is made only then: making it registers flags globally, and
// those of two servers would collide.
func serve(newCommand func() *cobra.Command) func() {
	return func() { os.Exit(cli.Run(newCommand())) }
}

// newEtcdutlCommand is how a member's data directory is made from a snapshot.
func newEtcdutlCommand() *cobra.Command {
	command := &cobra.Command{Use: "etcdutl", Short: "Works on the files of etcd while it does not run"}
	command.PersistentFlags().StringVarP(&etcdutl.OutputFormat, "write-out", "w", "simple", "output format")
	command.AddCommand(etcdutl.NewSnapshotCommand())
	return command
}

// runKubectl prints errors the way kubectl does, without the usage text that the servers print.
func runKubectl() {
	// The verbosity counts already while the command is made, which looks for plugins and reads the user's
	// preferences; a value that is wrong is refused by the command itself.
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}

func usage(problem string) {
	names := make([]string, 0, len(programs))
	for name := range programs {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintf(os.Stderr, "kube: %s; usage: kube PROGRAM [ARGUMENT]..., where PROGRAM is one of %v\n", problem, names)
	os.Exit(exitUsage)
}
