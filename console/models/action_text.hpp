// What an action is about to do, word for word as the confirmation says it.
#pragma once

#include <QString>

#include "console/models/agent.hpp"

namespace signalbox::console {

struct ActionText {
    QString title;        ///< a question
    QString explanation;  ///< what will happen, in order
    QString verb;         ///< of the button that does it
};

ActionText cycleWorkerText(const Agent& agent, const wire::Worker& worker);
ActionText cycleAllText(const Agent& agent);
ActionText scaleText(const Agent& agent, int to);

}  // namespace signalbox::console
