// The directory store of an unprivileged user.
if (process.getuid?.() === 0) process.setuid!(65534)

export { layer } from "./directory.ts"
