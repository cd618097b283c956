// Messages with random content, extremes included, that encode without loss.
#pragma once

#include <random>

#include "common/wire/messages.hpp"

namespace signalbox::wire {

Message random_message(std::mt19937_64& random);

}  // namespace signalbox::wire
