#pragma once

#include <sys/types.h>

#include <QFile>
#include <cstdint>

/// What a process has in memory but files and what is shared by design, such as a segment. What it shares with those that
/// it has forked counts as a whole, however many these are at the moment. 0: it is not there.
inline std::uint64_t anonymous_bytes(pid_t pid) {
    QFile file(QString("/proc/%1/status").arg(pid));
    if (!file.open(QFile::ReadOnly)) return 0;
    for (const QByteArray& line : file.readAll().split('\n'))
        if (line.startsWith("RssAnon:")) return 1024 * line.simplified().split(' ').value(1).toULongLong();
    return 0;
}
