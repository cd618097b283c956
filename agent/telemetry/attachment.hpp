// Where a process records. Called by Telemetry::attach and detach only.
#pragma once

#include <cstddef>

namespace signalbox::detail {

/// Makes the calling thread the owner of lane `owner` and lets all others use `shared`; nulls detach. Threads
/// that have recorded before keep their lane, so attach before starting any.
void attach_process(std::byte* owner, std::byte* shared) noexcept;

}  // namespace signalbox::detail
