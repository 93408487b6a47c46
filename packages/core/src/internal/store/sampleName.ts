import type { Sample } from "../../Sample.ts"

/** What no other sample is called: which sample of which request it is. `undefined` where that is not known. */
export const sampleName = ({ metadata: { index, request } }: Sample): string | undefined =>
  request === undefined || index === undefined ? undefined : `${index} ${request}`
