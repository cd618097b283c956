// Text from outside (peers, log lines, activities), made safe to show.
#pragma once

#include <QString>
#include <string_view>

#include "common/wire/messages.hpp"

namespace signalbox::console {

/// One line of at most `longest` characters: control characters, line breaks and the marks that turn the
/// writing direction become visible, invalid UTF-8 too. Show it only as plain text.
QString shown(std::string_view outside, qsizetype longest = 500);
QString shown(const QString& outside, qsizetype longest = 500);

/// For toolTip and whatsThis, which Qt would take for HTML if it looks like it.
QString plainToolTip(const QString& text);

/// For texts of actions and tabs, where & marks a mnemonic.
QString withoutMnemonics(QString text);

QString stateName(wire::WorkerState state);
/// What the state means, a short sentence.
QString stateMeaning(wire::WorkerState state);
QString severityName(wire::Severity severity);

}  // namespace signalbox::console
