#include "support/report.h"

#include <fmt/format.h>

#include "support/picture.h"

namespace examples {
namespace {

Json values(const TrainingCurve& curve, double EpochRecord::*member) {
  auto array = Json::array();
  for (const auto& record : curve.epochs) array.push_back(record.*member);
  return array;
}

Json to_json(const TrainingCurve& curve) {
  return {{"method", curve.method},
          {"training_loss", values(curve, &EpochRecord::training_loss)},
          {"held_out_loss", values(curve, &EpochRecord::held_out_loss)},
          {"held_out_share", values(curve, &EpochRecord::held_out_share)},
          {"seconds", values(curve, &EpochRecord::seconds)},
          {"lambda", values(curve, &EpochRecord::lambda)}};
}

}  // namespace

void print_table(const Task& task, const std::vector<TrainingCurve>& curves) {
  fmt::print("\n{:<17}{:>20}{:>22}{:>16}{:>22}{:>10}\n", "method", "final training loss",
             "worst training loss", "held-out loss", "held-out " + task.share, "seconds");
  for (const auto& curve : curves) {
    const auto& end = curve.epochs.back();
    fmt::print("{:<17}{:>20.3g}{:>22.3g}{:>16.3g}{:>21.1f}%{:>10.2f}\n", curve.method,
               end.training_loss, curve.worst_loss(), end.held_out_loss, 100 * end.held_out_share,
               end.seconds);
  }
}

Json to_json(const Task& task, const std::vector<TrainingCurve>& curves) {
  Json json = {{"title", task.describe()}, {"share", task.share}};
  for (const auto& curve : curves) json["curves"].push_back(to_json(curve));
  return json;
}

void report(const Task& task, const std::vector<TrainingCurve>& curves) {
  print_table(task, curves);
  write_json(task.options.output + ".json", to_json(task, curves));
  draw_picture("plot_curves.py", task.options.output);
}

}  // namespace examples
