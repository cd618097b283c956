// POST /classify: a letter in, a verdict out, and the instruments that say how the mailroom is doing.
#pragma once

#include "signalbox/http.hpp"
#include "signalbox/telemetry.hpp"

namespace mailroom {

/// Adds the route. Answers {"score": 0.0 … 1.0, "verdict": "ham" or "spam", "reasons": [ … ]}; 400 for an
/// empty body. Instruments: letters_total{verdict}, scoring_duration_seconds, letter_bytes, and what the
/// letters at hand are at (state tracker "letter"). Every letter is an action "classify".
void add_letters(signalbox::Router& router, signalbox::Telemetry& telemetry);

}  // namespace mailroom
