import { Effect } from "effect"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"

// A certificate of this test alone, which no authority has signed.
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1fesTMKday851/1X
ioVwe/ymtkMn9Nhgx766OBL8PUWhRANCAARP5XwaY1cjBehtxUDEK/xDf3i7uoPj
7WAys/LQhyawErFQr43udN2KiIUoXt92VH4dUbgRLPa9fbF8ZjJR0wx0
-----END PRIVATE KEY-----
`

const cert = `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUZlcsa8Z13Bdfy/G9fTJd1R7HE8gwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODE0MDgxNFoYDzIxMjYxMTA0
MTQwODE0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARP5XwaY1cjBehtxUDEK/xDf3i7uoPj7WAys/LQhyawErFQr43udN2K
iIUoXt92VH4dUbgRLPa9fbF8ZjJR0wx0o28wbTAdBgNVHQ4EFgQUvZ9Q6ucPiY0s
tICzP7hpaQCa8gAwHwYDVR0jBBgwFoAUvZ9Q6ucPiY0stICzP7hpaQCa8gAwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhALD56Hjcmt5Scr56wgo0pbGLH3z0OXM4wnX0LtVGQc9YAiEA
4kSmPN2fJLnto5In+2aB0Q119PVNqCSCoOpap/fO0IQ=
-----END CERTIFICATE-----
`

/** A server with a certificate that no one trusts. Counts the connections that clients try. */
export const makeUntrustedServer = Effect.acquireRelease(
  Effect.promise(() =>
    new Promise<{ readonly url: string; readonly http: Https.Server; readonly connections: () => number }>(
      (resolve) => {
        let connections = 0
        const http = Https.createServer({ key, cert }, (_, response) => response.end("{}"))
        http.on("connection", () => connections++)
        http.listen(0, "127.0.0.1", () =>
          resolve({
            http,
            url: `https://127.0.0.1:${(http.address() as AddressInfo).port}`,
            connections: () => connections
          }))
      }
    )
  ),
  ({ http }) =>
    Effect.promise(() =>
      new Promise((resolve) => {
        http.close(resolve)
        http.closeAllConnections()
      })
    )
)
