// Is a letter spam? A naive Bayes score over its words, with the marks that spam leaves on a letter's
// structure.
//
//     const mailroom::Score score = mailroom::classify(mailroom::parse_message(bytes));
//     if (score.spam) std::cout << score.probability << ": " << score.reasons.front();
//
// Pure computation from built-in tables: the same letter always gets the same score. The weights are
// log-odds, made up so that the demonstration behaves like a real filter; nobody's mail should depend on
// them.
#pragma once

#include <string>
#include <vector>

#include "agent/examples/mailroom/message.hpp"

namespace mailroom {

struct Score {
    double probability = 0;  ///< of spam, 0 … 1
    bool spam = false;       ///< at least one half
    std::vector<std::string>
        reasons;  ///< what weighed most, heaviest first, at most eight: "word 'lottery' (+2.6)"
};

Score classify(const Message& message);

}  // namespace mailroom
