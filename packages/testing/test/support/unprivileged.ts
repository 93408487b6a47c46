// A directory in the eyes of a user that has no rights but those it is given.
if (process.getuid?.() === 0) process.setuid!(65534)

export { layer } from "./directory.ts"
