// `npx tsx examples/promises/start.ts`: the service on port 8002 (PORT), which asks the partner at PARTNER_URL.
import { appOf } from "./app.js"
import { listen } from "./listen.js"
import { partnerAt } from "./partner.js"

listen(appOf(partnerAt(process.env.PARTNER_URL ?? "http://127.0.0.1:8000")), 8002)
