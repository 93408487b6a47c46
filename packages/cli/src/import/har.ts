import { Buffer } from "node:buffer"
import { httpItem } from "./http.ts"
import type { Item } from "./item.ts"
import { asArray, asNumber, asObject, asString, asTime } from "./json.ts"

/** The exchanges of a HAR file, as browsers and proxies save it: http://www.softwareishard.com/blog/har-12-spec/ */
export const harItems = (file: unknown): ReadonlyArray<Item> =>
  asArray(asObject(asObject(file)["log"])["entries"]).map((value, i) => {
    const entry = asObject(value)
    const [request, response] = [asObject(entry["request"]), asObject(entry["response"])]
    const content = asObject(response["content"])
    const text = asString(content["text"])
    const started = asTime(entry["startedDateTime"])
    const elapsed = asNumber(entry["time"])
    return httpItem({
      where: `entry ${i + 1}`,
      url: asString(request["url"]) ?? "",
      request: asString(asObject(request["postData"])["text"]),
      betas: asArray(request["headers"]).map(asObject).flatMap(({ name, value }) =>
        asString(name)?.toLowerCase() === "anthropic-beta" && typeof value === "string" ? [value] : []
      ).join(),
      status: asNumber(response["status"]) ?? 0,
      answer: content["encoding"] === "base64" && text !== undefined
        ? Uint8Array.from(Buffer.from(text, "base64"))
        : text,
      createdAt: started === undefined ? undefined : Math.round(started + (elapsed ?? 0)),
      elapsed
    })
  })
