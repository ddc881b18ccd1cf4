// Draws badges as Shields does: a file with endpoint JSON in, a JSON list of SVG on standard output. It resolves the package
// from the directory that is its second argument.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [file, directory] = process.argv.slice(2)
const { makeBadge } = createRequire(join(directory, 'here.js'))('badge-maker')
const badges = JSON.parse(readFileSync(file, 'utf8'))
// What is left out is how Shields treats the answer (schema, errors, caches) and its logos, which the package has not.
console.log(JSON.stringify(badges.map(({ label, message, color }) => makeBadge({ label, message, color }))))
