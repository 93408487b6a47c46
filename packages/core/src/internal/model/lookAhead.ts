/**
 * How many recorded samples to read at once for a run that may end at any sample and has taken `position` of them: a
 * long run takes few steps, and a short one reads little in vain.
 */
export const lookAhead = (position: number): number => Math.min(Math.max(1, 3 * position), 4096)
