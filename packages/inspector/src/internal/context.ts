import type { Identity } from "@llm-cache/core/Identity"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import type * as Effect from "effect/Effect"
import type { Explanations } from "./explanations.ts"
import { identityKey } from "./format.ts"
import type { Html } from "./html.ts"
import type { Indexes } from "./indexes.ts"
import type { Texts } from "./texts.ts"

/** The sources of all pages. */
export interface Sources {
  readonly store: Store
  readonly indexes: Indexes
  readonly texts: Texts
  readonly explanations: Explanations
}

/** Links between pages. A file has none, and its texts stay. */
export interface Links {
  readonly runs: () => string | undefined
  readonly run: (id: string, query?: Query) => string | undefined
  readonly miss: (id: string, row: number) => string | undefined
  readonly compare: (a: string, b: string) => string | undefined
  readonly prompt: (
    prompt: { readonly identity: Identity; readonly promptHash: string },
    query?: Query
  ) => string | undefined
  readonly cache: (query?: Query) => string | undefined
}

export type Query = { readonly [name: string]: string | number | undefined }

/** The query of a page, by its names. */
export type Params = URLSearchParams

/** A kind of page. */
export interface Page<Input, Data> {
  readonly load: (sources: Sources, input: Input) => Effect.Effect<Data | undefined, StoreError>
  readonly title: (data: Data) => string
  readonly body: (data: Data, links: Links) => Html
  readonly markdown: (data: Data) => string
  /** The data for programs. */
  readonly json: (data: Data) => unknown
}

/** The links of a server's pages below a path. */
export const linksBelow = (base: string): Links => ({
  runs: () => base,
  run: (id, query) => `${base}/runs/${encodeURIComponent(id)}${queryOf(query)}`,
  miss: (id, row) => `${base}/runs/${encodeURIComponent(id)}/misses/${row}`,
  compare: (a, b) => `${base}/compare${queryOf({ a, b })}`,
  prompt: ({ identity, promptHash }, query) =>
    `${base}/prompts/${promptHash}${queryOf({ model: identityKey(identity), ...query })}`,
  cache: (query) => `${base}/cache${queryOf(query)}`
})

/** The links of a file. */
export const noLinks: Links = {
  runs: () => undefined,
  run: () => undefined,
  miss: () => undefined,
  compare: () => undefined,
  prompt: () => undefined,
  cache: () => undefined
}

const queryOf = (query: Query = {}): string => {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "")
  return given.length === 0
    ? ""
    : `?${new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]))}`
}

/** A whole number in a query. */
export const numberIn = (params: Params, name: string, otherwise: number): number => {
  const text = params.get(name) ?? ""
  return /^\d{1,9}$/.test(text) ? Number(text) : otherwise
}
