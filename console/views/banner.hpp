// A strip above the content that says one thing, without interrupting: the connection's trouble, an action's
// outcome.
#pragma once

#include <QFrame>
#include <QTimer>

#include "console/views/theme.hpp"

class QLabel;

namespace signalbox::console {

class Banner : public QFrame {
    Q_OBJECT
public:
    enum class Level { info, success, warning, error };

    /// A banner that can be closed has a button for it and Level::success leaves by itself.
    Banner(const Theme& theme, bool closable, QWidget* parent = nullptr);

    void say(Level level, const QString& text);
    QString text() const;
    Level level() const { return level_; }

private:
    void refreshLight();

    const Theme& theme_;
    Level level_ = Level::info;
    QLabel* light_;
    QLabel* text_;
    QTimer leaving_;
};

}  // namespace signalbox::console
