#include "console/models/text.hpp"

#include <QCoreApplication>

namespace signalbox::console {
namespace {

QString translated(const char* text) {
    return QCoreApplication::translate("signalbox", text);
}

bool turnsDirection(QChar c) {
    const auto code = c.unicode();
    return (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0x200E ||
           code == 0x200F;
}

}  // namespace

QString shown(std::string_view outside, qsizetype longest) {
    // A character takes at most four bytes: more than that is cut anyway, whatever its length.
    const auto most = static_cast<std::size_t>(longest) * 4;
    return shown(QString::fromUtf8(outside.data(), static_cast<qsizetype>(std::min(outside.size(), most))),
                 longest);
}

QString shown(const QString& outside, qsizetype longest) {
    QString line = outside.left(longest);
    for (QChar& c : line) {
        if (c == u'\t')
            c = u' ';
        else if (c == u'\n' || c.category() == QChar::Separator_Line ||
                 c.category() == QChar::Separator_Paragraph)
            c = QChar(0x21B5);
        else if (c.category() == QChar::Other_Control || turnsDirection(c))
            c = QChar::ReplacementCharacter;
    }
    if (outside.size() > longest) line.append(QChar(0x2026));
    return line;
}

QString plainToolTip(const QString& text) {
    if (text.isEmpty()) return {};
    QString escaped = text.toHtmlEscaped();
    escaped.replace(u'\n', QStringLiteral("<br>"));
    return QStringLiteral("<qt>%1</qt>").arg(escaped);
}

QString withoutMnemonics(QString text) {
    return text.replace(u'&', QStringLiteral("&&"));
}

QString stateName(wire::WorkerState state) {
    switch (state) {
        case wire::WorkerState::starting:
            return translated("starting");
        case wire::WorkerState::ready:
            return translated("ready");
        case wire::WorkerState::draining:
            return translated("draining");
        case wire::WorkerState::stalled:
            return translated("stalled");
        case wire::WorkerState::dead:
            return translated("dead");
    }
    return translated("unknown");
}

QString stateMeaning(wire::WorkerState state) {
    switch (state) {
        case wire::WorkerState::starting:
            return translated("forked, not serving yet");
        case wire::WorkerState::ready:
            return translated("its listeners accept");
        case wire::WorkerState::draining:
            return translated("finishes what it has, accepts nothing new");
        case wire::WorkerState::stalled:
            return translated("alive, but its event loop does not run");
        case wire::WorkerState::dead:
            return translated("ended; shown until the slot is taken again");
    }
    return {};
}

QString severityName(wire::Severity severity) {
    switch (severity) {
        case wire::Severity::debug:
            return translated("debug");
        case wire::Severity::info:
            return translated("info");
        case wire::Severity::warning:
            return translated("warning");
        case wire::Severity::error:
            return translated("error");
    }
    return translated("unknown");
}

}  // namespace signalbox::console
