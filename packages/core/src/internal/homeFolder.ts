import { Os, Path } from "./node.ts"

/** The home folder of the user, `undefined` if there is none. */
export const homeFolder = (): string | undefined => {
  try {
    return Os.homedir() || undefined
  } catch {
    return undefined
  }
}

/** A path whose `~` at the start is the home folder, `undefined` if there is none. */
export const fromHome = (path: string): string | undefined => {
  const start = /^~(?=$|[/\\])/
  const home = start.test(path) ? homeFolder() : ""
  return home === undefined ? undefined : path.replace(start, () => home)
}

/** The folder in which the library keeps state of the user, `undefined` if there is none. */
export const stateFolder = (): string | undefined => {
  // `Config` would load all of Schema.
  const { XDG_STATE_HOME: state = "" } = process.env
  const home = homeFolder()
  // A relative path there is to be ignored: https://specifications.freedesktop.org/basedir-spec/latest/
  if (Path.isAbsolute(state)) return Path.join(state, "llm-cache")
  return home === undefined ? undefined : Path.join(home, ".local", "state", "llm-cache")
}
