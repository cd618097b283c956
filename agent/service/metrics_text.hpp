// Prometheus' text format, version 0.0.4.
#pragma once

#include <string>

#include "agent/service/tick_shape.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::service {

/// `totals` is an absolute tick of the whole group (one series) with its workers. Distributions become
/// classic histograms with powers of two as bounds.
std::string metrics_text(const wire::Tick& totals, const Catalogue& catalogue);

}  // namespace signalbox::service
