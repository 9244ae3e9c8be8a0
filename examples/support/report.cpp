#include "support/report.h"

#include <fmt/format.h>

#include "support/picture.h"
#include "support/run_notes.h"

namespace examples {
namespace {

Json values(const TrainingCurve& curve, double TrainingRecord::*member) {
  auto array = Json::array();
  for (const auto& record : curve.records) array.push_back(record.*member);
  return array;
}

Json to_json(const TrainingCurve& curve) {
  return {{"method", curve.method},
          {"training_loss", values(curve, &TrainingRecord::training_loss)},
          {"held_out_loss", values(curve, &TrainingRecord::held_out_loss)},
          {"held_out_share", values(curve, &TrainingRecord::held_out_share)},
          {"seconds", values(curve, &TrainingRecord::seconds)},
          {"epochs", values(curve, &TrainingRecord::epochs)},
          {"lambda", values(curve, &TrainingRecord::lambda)}};
}

}  // namespace

void print_table(const Task& task, const std::vector<TrainingCurve>& curves) {
  fmt::print("\n{:<17}{:>8}{:>9}{:>21}{:>22}{:>15}{:>22}\n", "method", "seconds", "epochs",
             "final training loss", "worst training loss", "held-out loss",
             "held-out " + task.share);
  for (const auto& curve : curves) {
    const auto& end = curve.records.back();
    fmt::print("{:<17}{:>8.2f}{:>9.1f}{:>21.3g}{:>22.3g}{:>15.3g}{:>21.1f}%\n", curve.method,
               end.seconds, end.epochs, end.training_loss, curve.worst_loss(), end.held_out_loss,
               100 * end.held_out_share);
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
  remove_checkpoint(task.checkpoint());
}

}  // namespace examples
