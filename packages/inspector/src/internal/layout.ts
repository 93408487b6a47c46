import type { Links } from "./context.ts"
import { type Html, html, trusted } from "./html.ts"
import { style } from "./style.ts"

interface Page {
  readonly title: string
  readonly body: Html
}

interface Served extends Page {
  readonly base: string
  readonly links: Links
  /** The part of the navigation that the page belongs to. */
  readonly part: "runs" | "cache"
  /** The stream of its changes. */
  readonly live: string | undefined
  /** The page without its suffix and its query, and the query. */
  readonly path: string
  readonly query: string
}

/** A page of the server. */
export const servedPage = ({ base, body, links, live, part, path, query, title }: Served): string => {
  const item = (name: "runs" | "cache", href: string | undefined, text: string) =>
    html`<a href="${href}"${name === part && html` aria-current="page"`}>${text}</a>`
  const suffixed = (suffix: string) => `${path === base ? `${base}/runs` : path}.${suffix}${query}`
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · llm-cache</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="${base}/style.css">
</head><body${live !== undefined && html` data-live="${live}"`}>
<a class="skip" href="#content">Skip to the content</a>
<header class="top"><nav aria-label="Main"><a class="brand" href="${base}">llm-cache</a>${
    item("runs", links.runs(), "Runs")
  }${item("cache", links.cache(), "Cache")}<span class="live" id="live" role="status"></span></nav></header>
<main id="content">
${body}
</main>
<footer>This page as <a href="${suffixed("json")}">JSON</a> or <a href="${suffixed("md")}">Markdown</a></footer>
${live !== undefined && html`<script src="${base}/live.js"></script>`}
</body></html>
`.text
}

/** A page that opens from a disk: its style is in it, and it has neither scripts nor links to others. */
export const filePage = ({ body, title }: Page): string =>
  html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${title} · llm-cache</title><link rel="icon" href="data:,">
<style>${trusted(style)}</style>
</head><body>
<main id="content">
${body}
</main>
</body></html>
`.text
