/** The script of live pages: fetches their parts anew when the server says that something changed. */
export const script = `const source = document.body.dataset.live
const sign = document.getElementById("live")
let events, timer, isBusy = false, isStale = false
const update = async () => {
  if (isBusy) return void (isStale = true)
  isBusy = true
  isStale = false
  try {
    const response = await fetch(location.href)
    if (!response.ok) return show(response.status === 404 ? "deleted" : "cannot be read", false)
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html")
    for (const part of document.querySelectorAll("[data-part]")) {
      const next = fresh.getElementById(part.id)
      if (!next || part.contains(document.activeElement) && document.activeElement.matches("input:not([type=radio]), select")) continue
      for (const { name, value } of part.querySelectorAll("input:checked")) {
        for (const input of next.querySelectorAll("input")) {
          if (input.name === name) input.toggleAttribute("checked", input.value === value)
        }
      }
      for (const { id, open } of part.querySelectorAll("details[id]")) {
        const same = next.querySelector("#" + CSS.escape(id))
        if (same) same.open = open
      }
      if (next.isEqualNode(part)) continue
      const { href, name, value } = document.activeElement || {}
      const hadFocus = part.contains(document.activeElement)
      part.replaceChildren(...next.childNodes)
      if (hadFocus) {
        [...part.querySelectorAll("a, input")].find((one) => href ? one.href === href : name && one.name === name && one.value === value)?.focus()
      }
    }
  } catch {
    // The server stopped: the stream says so.
  } finally {
    timer = setTimeout(() => { isBusy = false; if (isStale) update() }, 500)
  }
}
const show = (text, isOn) => { sign.textContent = text; sign.classList.toggle("on", isOn) }
const connect = () => {
  events = new EventSource(source)
  // Something may have changed since the page was made, or while it was not connected.
  events.onopen = () => { show("live", true); update() }
  events.onerror = () => show("not connected", false)
  events.addEventListener("change", update)
  events.addEventListener("end", () => { events.close(); source && show("", false); update() })
}
if (source) {
  connect()
  document.addEventListener("visibilitychange", () => {
    events.close()
    if (!document.hidden) connect()
  })
}
`
