// What there is to see before any agent is connected: how to connect, and to what one connected before.
#pragma once

#include <QWidget>

#include "console/session/connection_settings.hpp"

class QVBoxLayout;

namespace signalbox::console {

class WelcomePage : public QWidget {
    Q_OBJECT
public:
    explicit WelcomePage(QWidget* parent = nullptr);
    void refreshRecent();

Q_SIGNALS:
    void connectRequested();
    void recentChosen(const signalbox::console::ConnectionSettings& settings);

private:
    QVBoxLayout* recent_;
};

}  // namespace signalbox::console
