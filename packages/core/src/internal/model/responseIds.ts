import type { Key } from "../../Key.ts"
import type { Samples } from "../../Model.ts"
import type { Drawn } from "../../Sample.ts"
import { ProviderError, RepeatedResponse } from "../../SampleError.ts"
import { sha256 } from "../sha256.ts"

/**
 * The responses that a process has received, by key. A response with the id and the texts of an earlier one comes from a
 * cache; a server that merely repeats its ids has other texts.
 */
export class ReceivedResponses {
  /** Short hashes: a process may send millions of requests. */
  readonly #received = new Set<string>()

  /** Notes a response, and returns whether the key received it before. */
  add({ identity, path, promptHash }: Key, id: string, samples: Samples): boolean {
    const content = JSON.stringify([identity.id, path, promptHash, id, ...samples.map(({ text }) => text)])
    const hash = sha256(content).slice(0, 20)
    return this.#received.size === this.#received.add(hash).size
  }
}

/** The id and the text of a sample, in one text. `undefined` without an id. */
export const responsePart = ({ metadata: { responseId }, text }: Drawn): string | undefined =>
  responseId === undefined ? undefined : `${responseId}\n${text}`

export const repeatedResponse = ({ identity, path }: Key, id: string): ProviderError =>
  new ProviderError({
    provider: identity.name,
    reason: new RepeatedResponse({
      description:
        `the response ${JSON.stringify(id)} came a second time for this prompt: a cache between this program and ` +
        "the model answers, so the draws are not independent. Turn that cache off, in the gateway or the proxy. If the " +
        "server gives one id to different responses, set `uniqueResponseIds: false`"
    }),
    ...path.length === 0 ? undefined : { path }
  })
