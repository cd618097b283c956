// What signalboxctl can do. Each prints its answer to standard output and throws Failure when it cannot be
// done.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "console/ctl/connection.hpp"

namespace signalbox::ctl {

void show_status(Connection& agent, bool json);
void show_workers(Connection& agent, bool json);
/// Of the workers of one slot, or of all (no slot).
void show_connections(Connection& agent, std::optional<std::uint32_t> slot, bool json);
void scale_group(Connection& agent, unsigned workers, bool json);

/// Facts, settings and tunables; not the environment unless `all`.
void show_settings(Connection& agent, bool all, bool json);
void set_tunable(Connection& agent, const std::string& name, const std::string& value, bool json);

/// The newest `limit` events, or what comes from now on and never ends.
void show_events(Connection& agent, int limit, bool json);
void follow_events(Connection& agent, bool json);

/// Replaces the worker of one slot, or all workers (no slot). Given `patience`, prints the events until the
/// replacements are ready, for so long at most per worker.
void cycle(Connection& agent, std::optional<std::uint32_t> slot, std::optional<std::chrono::seconds> patience,
           bool json);

/// Has the group start its program anew and replace itself by it. Given `patience`, prints the events until the new
/// process is in charge; if it does not come to that, Failure says why.
void upgrade(const client::Options& agent, std::optional<std::chrono::seconds> patience, bool json);

/// Takes back the cycling of a slot's worker: of the one that drains, or else of the one that serves.
void keep(Connection& agent, std::uint32_t slot, bool json);

}  // namespace signalbox::ctl
