import type { Progress } from "../Transfer.ts"

/** How far a walk has come that began at `start`, in milliseconds. */
export const progressSince = (start: number, now: number, done: number, total: number): Progress => ({
  done,
  total,
  rate: done * 1000 / Math.max(1, now - start)
})
