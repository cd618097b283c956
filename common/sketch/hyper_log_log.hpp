// Distinct counts for software that knows HyperLogLog: an UltraLogLog with the most zeros of each register
// only.
//
//     redis.set("visitors:today", redis_hyper_log_log(visitors));      // then PFCOUNT visitors:today
//
// Sources: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a near-optimal cardinality
// estimation algorithm", AofA 2007, section 2; the layout that Redis describes in hyperloglog.c.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/sketch/ultra_log_log.hpp"

namespace signalbox::sketch {

/// Redis' one precision: 16,384 registers, of which its own estimate has a standard error of 0.81 %.
inline constexpr unsigned kRedisPrecision = 14;

/// 2^precision registers of HyperLogLog: 0 for an empty one, else its most zeros plus one, at most 64 -
/// precision. They are those that recording the same hashes into a HyperLogLog gives whose index is the
/// lowest bits, as Redis' is.
std::vector<std::uint8_t> hyper_log_log_registers(const UltraLogLog& sketch);

/// The value of a Redis key (SET it; PFCOUNT, PFMERGE) in the dense form, 12,304 bytes. Throws
/// std::invalid_argument if the sketch has a precision below 14, which has too few registers.
///
/// PFMERGE of such values counts what is in several once. PFADD to one, or PFMERGE with one that Redis has
/// filled, counts the same element twice: Redis hashes otherwise (MurmurHash64A).
std::string redis_hyper_log_log(const UltraLogLog& sketch);

}  // namespace signalbox::sketch
