// The console's colours: a light and a dark palette (resources/themes/*.json) and one style sheet for both.
#pragma once

#include <QColor>
#include <QHash>
#include <QObject>
#include <QString>

#include "console/charts/time_chart.hpp"

namespace signalbox::console {

class Theme : public QObject {
    Q_OBJECT
public:
    enum class Choice { automatic, light, dark };

    explicit Theme(QObject* parent = nullptr);

    /// "auto", "light" or "dark"; none for anything else.
    static std::optional<Choice> parse(const QString& name);
    static QString nameOf(Choice choice);

    /// Applies palette, style sheet and font to the application. `automatic` goes by the desktop's own
    /// palette.
    void apply(Choice choice);
    Choice choice() const { return choice_; }
    bool dark() const { return dark_; }

    /// Text larger (positive) or smaller than usual, in points; bounded.
    void setTextSteps(int steps);
    int textSteps() const { return textSteps_; }

    /// A colour of the palette files; asserts that there is one of that name.
    QColor color(const QString& name) const;
    ChartColors chartColors() const;
    /// A colour for the n-th of many lines.
    QColor seriesColor(std::size_t n) const;

Q_SIGNALS:
    void changed();

private:
    void load();

    Choice choice_ = Choice::automatic;
    bool desktopIsDark_;
    bool dark_ = false;
    int textSteps_ = 0;
    double usualPointSize_;
    QHash<QString, QColor> colors_;
};

}  // namespace signalbox::console
