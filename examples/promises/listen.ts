import type { Express } from "express"
import type { AddressInfo } from "node:net"

/** Listens on the port PORT of the environment, where 0 is any free one, and says where. */
export const listen = (app: Express, otherwise: number): void => {
  const server = app.listen(Number(process.env.PORT ?? otherwise), "127.0.0.1", (error) => {
    if (error !== undefined) throw error
    console.log(`Listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  })
}
