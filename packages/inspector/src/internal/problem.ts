/** The page of a file or a server that cannot be read. */
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Links } from "./context.ts"
import { html } from "./html.ts"
import { document, inline } from "./markdown.ts"

const isOfTrace = ({ store }: StoreError): boolean => store.startsWith("trace ")

export const problemTitle = (error: StoreError): string =>
  isOfTrace(error)
    ? error.kind === "Damaged" ? "The trace is damaged" : "The trace cannot be read"
    : error.kind === "Damaged"
    ? "The cache is damaged"
    : "The cache cannot be read"

export const problemBody = (error: StoreError, links: Links) =>
  html`<h1>${problemTitle(error)}</h1>
<p class="notice problem">${error.message}</p>
<p>${
    isOfTrace(error)
      ? html`The samples are no part of it: see <a href="${links.cache()}">the cache</a>, and <a href="${links.runs()}">the other runs</a>.`
      : html`The traces are no part of it: see <a href="${links.runs()}">the runs</a>.`
  }</p>`

export const problemMarkdown = (error: StoreError): string =>
  document(`# ${problemTitle(error)}`, inline(error.message))

/** The error for programs. */
export const problemJson = ({ kind, message, operation, store }: StoreError): object => ({
  error: message,
  type: "StoreError",
  kind,
  store,
  operation
})
