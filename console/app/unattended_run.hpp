// A run without a person: waits for data, does what it was told, takes a picture, ends the application.
#pragma once

#include <QObject>
#include <QTimer>

#include "console/app/command_line.hpp"

namespace signalbox::console {

class UnattendedRun : public QObject {
    Q_OBJECT
public:
    /// Ends the application's event loop with 0, or with 1 after a message on stderr.
    UnattendedRun(const CommandLine& line, MainWindow& window);

private:
    void whenDataArrive();
    void select();
    void cycle();
    void capture();
    void report();
    void fail(const QString& why);
    bool everyAgentHasData() const;

    CommandLine line_;
    MainWindow& window_;
    QTimer polling_;
    QTimer givingUp_;
};

}  // namespace signalbox::console
