// What Prometheus and Grafana get besides `/metrics`: alerting rules and a dashboard for the policies that the gateway has.
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import { Alerts, Grafana } from "effect-resilience/observability"

/** `/alerts.yaml` for `rule_files` of Prometheus, and `/grafana.json` to import into Grafana. */
export const routes = HttpRouter.empty.pipe(
  HttpRouter.get(
    "/alerts.yaml",
    Effect.map(Alerts.fromRegistry(), (rules) =>
      HttpServerResponse.text(Alerts.yaml(rules), { contentType: "application/yaml" })
    )
  ),
  HttpRouter.get(
    "/grafana.json",
    Effect.map(Grafana.fromRegistry({ title: "Gateway" }), (dashboard) =>
      HttpServerResponse.unsafeJson(dashboard)
    )
  )
)
