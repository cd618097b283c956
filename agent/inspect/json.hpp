// A report as JSON, for programs. Names are stable; what is added later has new names. Units are base units
// (seconds, bytes); times are ISO 8601 in UTC; text from outside has invalid UTF-8 replaced by U+FFFD.
//
//     {
//       "group": "mailroom", "boot_id": "…", "layout_version": 1,
//       "alive": false,                           any process of the group
//       "created": "…", "end": "…",               end: now, or a dead group's last sign of life
//       "age_seconds": 12.5,                      from created to end
//       "target_workers": 3, "degraded": false,
//       "arbiter": {"pid": 1, "alive": false},
//       "agent": {"pid": 2, "alive": false, "starts": 1},
//       "listeners": [{"index", "protocol", "address", "port", "backlog_limit"}],
//       "workers": [{"slot", "generation", "pid", "alive", "state", "started", "heartbeat_age_seconds", "requests",
//                    "connections", "open_files", "resident_bytes", "activity", "activity_age_seconds",
//                    "queues": [{"listener", "depth", "capacity", "oldest_seconds", "accepted", "shed"}],
//                    "figures": …as below, if asked for}],
//       "figures": [{"name", "kind": "counter" | "gauge" | "distribution" | "distinct" | "heavy_hitters", "unit",
//                    "labels": {},
//                    counter:      "total", "rate_per_second"
//                    gauge:        "value", null if no worker has it
//                    distribution: "count", "rate_per_second", "sum", and "mean", "min", "max", "p50", "p90", "p99",
//                                  "p999": null while it is empty
//                    distinct:     "ever", "last_hour", "last_minute", "relative_standard_error"
//                    heavy_hitters: "entries": [{"key", "truncated", "count", "error"}], "total", "missed"}],
//       "events": [{"time", "seconds_before_end", "severity", "slot": null for the arbiter's, "pid", "generation",
//                   "name", "text"}],
//       "faults": ["seat 3: …"]                   damaged, and left out
//     }
//
// Rates are since the group's creation, or since the worker's start.
#pragma once

#include <nlohmann/json.hpp>

#include "agent/inspect/report.hpp"

namespace signalbox::inspect {

nlohmann::ordered_json to_json(const Report& report);

}  // namespace signalbox::inspect
