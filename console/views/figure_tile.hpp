// A headline figure: what it is, the number, and a remark.
#pragma once

#include <QFrame>

class QLabel;

namespace signalbox::console {

class FigureTile : public QFrame {
    Q_OBJECT
public:
    explicit FigureTile(const QString& caption, QWidget* parent = nullptr);
    /// `alarm` makes the value stand out.
    void setFigure(const QString& value, const QString& remark, bool alarm = false);
    /// Greyed: the value is the last one known.
    void setStale(bool stale);
    QString value() const;

protected:
    void changeEvent(QEvent* event) override;

private:
    void setFlag(const char* name, bool on);
    void enlarge();

    QLabel* caption_;
    QLabel* value_;
    QLabel* remark_;
};

}  // namespace signalbox::console
