/** Names a fork in a message, and says nothing outside of forks. */
export const forkSuffix = (path: ReadonlyArray<string> = []): string =>
  path.length === 0 ? "" : `, fork ${path.join(" > ")}`
