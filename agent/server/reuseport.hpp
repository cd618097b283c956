// A listening socket for each slot (Accept::reuseport), and who looks after those of slots without a worker.
//
// The arbiter binds them all before the first fork, so every worker has every one of them: a socket outlives whoever
// accepts from it, and nothing that waits in its queue is lost when a worker is replaced, dies, or its slot is given up. A
// socket does not listen before its slot's first worker makes it, so it gets no connection that nobody would take.
// Sockets of slots that have lost their worker go on listening, and the workers that are there share them out; so they do
// with those that an upgrade brought from a group that had more slots.
#pragma once

#include <string_view>

#include "agent/server/worker.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox::server {

/// "queue", "exclusive" or "reuseport".
std::string_view name_of(Accept accept);

/// Takes over or binds the sockets of all slots behind the first, if the listener is to have them. Throws
/// std::system_error naming the address.
void bind_slots(Listener& listener, unsigned slots);

/// Which worker accepts at `slot`: its own, if that is ready, else one of the others, always the same while the same are
/// ready. `slot` itself while nobody is.
unsigned keeper_of(telemetry::Segment& segment, unsigned slot);

}  // namespace signalbox::server
