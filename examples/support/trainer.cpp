#include "support/trainer.h"

#include <fmt/format.h>
#include <natgrad/optim/checkpoint.h>
#include <torch/torch.h>

#include <utility>

#include "support/interruption.h"
#include "support/run_notes.h"

namespace examples {
namespace {

constexpr int64_t kFewestRecords = 12;  // of a method's training, the start's not counted
constexpr int64_t kStepsAtOnce = 5;     // of Adam, between two looks at the clock

/// Where natgrad's training stands: its curve up to now, and what the steps since have told.
struct Progress {
  TrainingCurve curve;
  TrainingRecord since = {};
};

/// What has to be the same for a run to go on.
std::string name_of(const Task& task) {
  return fmt::format("{}, {} epochs", task.describe(), task.options.epochs);
}

/// A curve's numbers, and those since, a row each.
torch::Tensor to_rows(const Progress& progress) {
  std::vector<torch::Tensor> rows;
  auto records = progress.curve.records;
  records.push_back(progress.since);
  for (const auto& r : records) {
    const auto count = [](int64_t number) { return static_cast<double>(number); };
    rows.push_back(torch::tensor(
        {r.epochs, r.training_loss, r.held_out_loss, r.held_out_share, r.seconds, r.lambda,
         count(r.iterations), count(r.natural_steps), count(r.refused_steps)},
        torch::kDouble));
  }
  return torch::stack(rows);
}

Progress from_rows(const std::string& method, const torch::Tensor& rows) {
  Progress progress{{method, {}}};
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const auto* n = rows[i].data_ptr<double>();
    progress.curve.records.push_back({.epochs = n[0],
                                      .training_loss = n[1],
                                      .held_out_loss = n[2],
                                      .held_out_share = n[3],
                                      .seconds = n[4],
                                      .lambda = n[5],
                                      .iterations = static_cast<int64_t>(n[6]),
                                      .natural_steps = static_cast<int64_t>(n[7]),
                                      .refused_steps = static_cast<int64_t>(n[8])});
  }
  progress.since = progress.curve.records.back();
  progress.curve.records.pop_back();
  return progress;
}

void save(const Task& task, const Model& model, const natgrad::NaturalGradient& optimizer,
          const Course& course, const Progress& progress) {
  const auto place = course.place();
  natgrad::save_checkpoint(model.network, optimizer, task.checkpoint(),
                           {{"run", to_note(name_of(task))},
                            {"steps", torch::tensor({place.steps, place.steps_in_epoch})},
                            {"seconds", torch::tensor(place.seconds, torch::kDouble)},
                            {"batches", place.generator},
                            {"records", to_rows(progress)}});
}

Progress resume(const Task& task, const std::string& method, const Model& model,
                natgrad::NaturalGradient& optimizer, Course& course) {
  const auto path = task.checkpoint();
  check_can_resume(path);
  const auto notes = natgrad::load_checkpoint(model.network, optimizer, path);
  check_same_run(notes.at("run"), name_of(task), path);
  const auto steps = notes.at("steps");
  course.go_to({.steps = steps[0].item<int64_t>(),
                .steps_in_epoch = steps[1].item<int64_t>(),
                .seconds = notes.at("seconds").item<double>(),
                .generator = notes.at("batches")});
  fmt::print("resumed after {} steps, from {}\n", course.steps(), path);
  return from_rows(method, notes.at("records"));
}

[[noreturn]] void stop(const Task& task, const std::string& what) {
  throw Interrupted(fmt::format("interrupted; {} is in {}, and --resume goes on from it.", what,
                                task.checkpoint()));
}

TrainingCurve train_with_adam(const Task& task, const Model& model, double lr, double seconds) {
  torch::optim::Adam optimizer(model.parameters(), lr);
  const Step step = [&](const Batch& batch, TrainingRecord&) {
    optimizer.zero_grad();
    model.loss(batch).backward();
    optimizer.step();
  };
  Course course(task, step);
  TrainingCurve curve{fmt::format("Adam, lr {:g}", lr), {course.look(model)}};
  for (int64_t k = 1; k <= kFewestRecords; ++k) {
    TrainingRecord record;
    while (course.seconds() < seconds * k / kFewestRecords) {
      course.take_steps(kStepsAtOnce, record);
      if (is_interrupted()) stop(task, "natgrad's training, which is complete,");
    }
    curve.records.push_back(course.look(model, record));
  }
  return curve;
}

}  // namespace

TrainingCurve train(const Task& task, const std::string& method, const Model& model,
                    natgrad::NaturalGradient& optimizer, const Step& step) {
  note_interruptions();
  fmt::print("\n{}\n", method);
  Course course(task, step);
  auto [curve, record] = task.options.resume ? resume(task, method, model, optimizer, course)
                                             : Progress{{method, {course.look(model)}}};
  print_progress(curve.records.back(), task.share);
  const int64_t total = task.options.epochs * task.steps_per_epoch();
  const int64_t wanted = (kFewestRecords + task.options.epochs - 1) / task.options.epochs;
  const int64_t parts = task.options.epochs * std::min(wanted, task.steps_per_epoch());
  while (static_cast<int64_t>(curve.records.size()) <= parts) {
    const auto part = static_cast<int64_t>(curve.records.size());
    course.take_steps(total * part / parts - course.steps(), record);
    if (is_interrupted()) {
      save(task, model, optimizer, course, {curve, record});
      stop(task, fmt::format("training up to step {} of {}", course.steps(), total));
    }
    curve.records.push_back(course.look(model, std::exchange(record, {})));
    print_progress(curve.records.back(), task.share);
  }
  save(task, model, optimizer, course, {curve, record});
  return curve;
}

void add_adam(std::vector<TrainingCurve>& curves, const Task& task,
              const std::function<Model()>& make_model) {
  const double seconds = curves.front().records.back().seconds;
  fmt::print("\nAdam at {} rates, {:.2f} s each\n", kAdamRates.size(), seconds);
  for (const double lr : kAdamRates) {
    curves.push_back(train_with_adam(task, make_model(), lr, seconds));
    const auto& record = curves.back().records.back();
    fmt::print("lr {:<7g} epoch {:6.1f}  loss {:<8.3g}  {} {:5.1f}%\n", lr, record.epochs,
               record.training_loss, task.share, 100 * record.held_out_share);
    std::fflush(stdout);
  }
}

}  // namespace examples
