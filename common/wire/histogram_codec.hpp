// A histogram as bytes: scale, zeros, sum, the buckets from the first to the last that is not empty, and, as a
// byte of flags says, those of negative values and what was counted apart.
#pragma once

#include "common/sketch/exponential_histogram.hpp"
#include "common/wire/bytes.hpp"

namespace signalbox::wire {

/// `histogram`'s scale and buckets must lie within what common/sketch covers. Exact extremes are not written.
void write_histogram(Writer& writer, const sketch::ExponentialHistogram& histogram);

/// Reads one, and takes its buckets off `bucket_allowance`, refusing it when that is used up: runs of empty
/// buckets cost next to nothing in a frame, but 8 bytes a bucket in memory.
sketch::ExponentialHistogram read_histogram(Reader& reader, std::size_t& bucket_allowance);

}  // namespace signalbox::wire
