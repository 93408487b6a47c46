import type { Sample } from "../../Sample.ts"

/** The name of a sample, which no other sample has: its request and its index there. `undefined` if it is unknown. */
export const sampleName = ({ metadata: { index, request } }: Sample): string | undefined =>
  request === undefined || index === undefined ? undefined : `${index} ${request}`
