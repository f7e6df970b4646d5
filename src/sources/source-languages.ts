// Programming languages by the names of files, as GitHub's Linguist calls them (github.com/github-linguist/linguist); where
// several claim an extension, the one that most files of it are in. What to read of a folder of code, and what it is.

const extensions: Readonly<Record<string, string>> = {
  Ada: 'adb ads',
  Agda: 'agda',
  Assembly: 'asm s',
  Astro: 'astro',
  AWK: 'awk',
  Batchfile: 'bat cmd',
  Bicep: 'bicep',
  C: 'c h',
  'C#': 'cs csx',
  'C++': 'cc cpp cxx c++ hpp hh hxx h++ ipp tpp',
  Clojure: 'clj cljs cljc',
  CMake: 'cmake',
  COBOL: 'cob cbl',
  CoffeeScript: 'coffee',
  'Common Lisp': 'lisp cl',
  Crystal: 'cr',
  CSS: 'css',
  Cuda: 'cu cuh',
  Cython: 'pyx pxd',
  D: 'd',
  Dart: 'dart',
  Elixir: 'ex exs',
  Elm: 'elm',
  'Emacs Lisp': 'el',
  Erlang: 'erl hrl',
  'F#': 'fs fsx fsi',
  Fortran: 'f f77 f90 f95 f03 f08 for',
  GLSL: 'glsl vert frag',
  Go: 'go',
  GraphQL: 'graphql gql',
  Groovy: 'groovy gradle',
  Haskell: 'hs lhs',
  HCL: 'hcl tf tfvars',
  Haxe: 'hx',
  HLSL: 'hlsl',
  Idris: 'idr',
  Java: 'java',
  JavaScript: 'js mjs cjs jsx',
  Julia: 'jl',
  Kotlin: 'kt kts',
  Lean: 'lean',
  Less: 'less',
  Lua: 'lua',
  Makefile: 'mk mak',
  Nim: 'nim',
  Nix: 'nix',
  'Objective-C': 'm',
  'Objective-C++': 'mm',
  OCaml: 'ml mli',
  Pascal: 'pas pp',
  Perl: 'pl pm',
  PHP: 'php phtml',
  PLSQL: 'pls plsql',
  PowerShell: 'ps1 psm1 psd1',
  Prolog: 'pro prolog',
  'Protocol Buffer': 'proto',
  Puppet: 'epp',
  PureScript: 'purs',
  Python: 'py pyi pyw',
  R: 'r',
  Racket: 'rkt',
  Raku: 'raku rakumod',
  ReScript: 'res',
  Ruby: 'rb rake gemspec',
  Rust: 'rs',
  Sass: 'sass',
  Scala: 'scala sc sbt',
  Scheme: 'scm ss',
  SCSS: 'scss',
  Shell: 'sh bash zsh ksh fish',
  Smalltalk: 'st',
  Solidity: 'sol',
  SQL: 'sql',
  Stan: 'stan',
  'Standard ML': 'sml',
  Starlark: 'bzl bazel star',
  Svelte: 'svelte',
  Swift: 'swift',
  SystemVerilog: 'sv svh',
  Tcl: 'tcl',
  Thrift: 'thrift',
  TypeScript: 'ts mts cts',
  TSX: 'tsx',
  Vala: 'vala',
  Verilog: 'v',
  VHDL: 'vhd vhdl',
  'Vim Script': 'vim',
  'Visual Basic .NET': 'vb',
  Vue: 'vue',
  WebAssembly: 'wat wast',
  WGSL: 'wgsl',
  Zig: 'zig',
}

const names: Readonly<Record<string, string>> = {
  makefile: 'Makefile',
  gnumakefile: 'Makefile',
  dockerfile: 'Dockerfile',
  containerfile: 'Dockerfile',
  'cmakelists.txt': 'CMake',
  jenkinsfile: 'Groovy',
  rakefile: 'Ruby',
  gemfile: 'Ruby',
  build: 'Starlark',
  workspace: 'Starlark',
}

const byExtension = new Map(Object.entries(extensions).flatMap(([language, list]) => list.split(' ').map((one) => [one, language])))
const byName = new Map(Object.entries(names))

/** By the name of the file, or its extension; undefined where it is no source code. */
export function sourceLanguage(path: string): string | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase()
  return byName.get(name) ?? byExtension.get(name.slice(name.lastIndexOf('.') + 1))
}

/** Ends of paths, lower case: an extension with its dot, a whole name with a slash before it. */
export const sourceFileEnds: readonly string[] = [
  ...[...byExtension.keys()].map((one) => `.${one}`),
  ...[...byName.keys()].map((one) => `/${one}`),
]

/** Of the languages named; undefined for a name that is none. */
export function endsOfLanguages(languages: readonly string[]): string[] {
  return sourceFileEnds.filter((end) => languages.includes(sourceLanguage(`x${end}`) ?? ''))
}

export const sourceLanguages: readonly string[] = [...new Set([...byExtension.values(), ...byName.values()])].sort()
