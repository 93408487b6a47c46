import { httpItem } from "./http.ts"
import { damaged, type Item, skipped } from "./item.ts"
import { asNumber, asObject, asString, isObject, parseJson } from "./json.ts"

/**
 * An entry of promptfoo's cache. Its key has the URL and the request (`src/cache.ts` of promptfoo); those of later versions
 * have only a hash of it.
 */
export const promptfooItem = (where: string, key: string, value: unknown): Item => {
  const [, url, options] = /^fetch:(?:v2:)?(https?:\/\/.*?):(\{.*\})$/s.exec(key) ?? []
  if (url === undefined) {
    return skipped(
      where,
      /^(?:[\w.-]+:)*fetch:v3:/.test(key)
        ? "this version of promptfoo keeps only a hash of the request"
        : "it is no HTTP request"
    )
  }
  const kept = typeof value === "string" ? parseJson(value) : value
  if (!isObject(kept)) return damaged(where, "its answer is not whole")
  const { data, status } = kept
  return httpItem({
    where,
    url,
    request: asString(asObject(parseJson(options!))["body"]),
    status: asNumber(status) ?? 200,
    answer: typeof data === "string" ? data : JSON.stringify(data)
  })
}
