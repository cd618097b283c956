// What it takes to reach one agent.
#pragma once

#include <QString>

namespace signalbox::console {

struct ConnectionSettings {
    QString url;          ///< "unix:/path" or "tls://host:port"
    QString authority;    ///< PEM file that verifies the agent; for tls:// only, as are the next two
    QString certificate;  ///< PEM file that identifies us
    QString key;          ///< PEM file with the certificate's key
    friend bool operator==(const ConnectionSettings&, const ConnectionSettings&) = default;
};

}  // namespace signalbox::console
