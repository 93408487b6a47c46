import { Os } from "./node.ts"

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
