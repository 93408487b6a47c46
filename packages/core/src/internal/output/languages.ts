// From the aliases of highlight.js and of GitHub's Linguist.
const groups = [
  "python py python3 py3",
  "javascript js mjs cjs node ecmascript",
  "typescript ts mts cts",
  "bash sh shell zsh",
  "yaml yml",
  "c++ cpp cxx cc",
  "c# csharp cs",
  "f# fsharp fs",
  "objective-c objectivec objc",
  "go golang",
  "rust rs",
  "ruby rb",
  "kotlin kt",
  "haskell hs",
  "perl pl",
  "julia jl",
  "elixir ex",
  "erlang erl",
  "ocaml ml",
  "clojure clj",
  "powershell ps1 pwsh",
  "markdown md mdx",
  "html htm",
  "latex tex",
  "text txt plaintext plain",
  "docker dockerfile",
  "make makefile",
  "graphql gql",
  "protobuf proto",
  "terraform tf hcl",
  "diff patch"
]

const canonical = new Map(
  groups.flatMap((group) => {
    const names = group.split(" ")
    return names.map((name) => [name, names[0]!] as const)
  })
)

/**
 * One name for all names of a language, from the first word behind a marker. `{python}`, `python:main.py`, `rust,ignore` and
 * `language-js` name a language too.
 */
export const languageOf = (info: string): string => {
  const word = /^\S*/.exec(info)![0].toLowerCase()
  const name = /^(?:\{\.?)?(?:lang(?:uage)?-)?([^{},:;]*)/.exec(word)![1]! || word
  return canonical.get(name) ?? name
}
