// Does the default need tuning? Trains each task at each batch size with natgrad's default options,
// and with Adam at three learning rates, from the same starts, on the same batches, for as many
// epochs. A cell (task, batch size) passes if, over the seeds, natgrad's mean final training loss
// is below the best of Adam's and none of its runs is above its start after any epoch. `--help`
// lists the options.

#include <fmt/format.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>

#include "support/command_line.h"
#include "support/dataset.h"
#include "support/trainer.h"
#include "support/training_tasks.h"

namespace nn = torch::nn;
using benchmarks::all_tasks, benchmarks::Data, benchmarks::Task, torch::Tensor;

namespace {

struct Settings {
  std::vector<std::string> tasks = {"digits", "conv", "regression"};
  std::vector<std::string> batches = {"16", "64", "256", "full"};
  int64_t epochs = 0;  // 0: the task's own number
  int64_t seeds = 3;
  double goal = 0;  // 0: none
  std::string solver = "default";
};

constexpr double kNever = std::numeric_limits<double>::infinity();

/// The same course of training for every method: one seed's data, start and batches.
struct Course {
  const Task& task;
  int64_t epochs, batch_size;
  uint64_t seed;
  double goal;
};

struct Run {
  double start = 0, highest = 0, last = 0, seconds = 0, seconds_to_goal = kNever;
};

/// A method's step on the loss of a batch, made for a model's parameters.
using Step = std::function<void(const Tensor& loss)>;
using Method = std::function<Step(std::vector<Tensor> parameters)>;

/// The solvers of the default's system that can be compared.
std::map<std::string, std::shared_ptr<const natgrad::Solver>> all_solvers() {
  const natgrad::DualOrConjugateGradient by_default;
  return {{"default", by_default.clone()},
          {"iterations", by_default.iterative().clone()},
          {"dual", natgrad::Dual().clone()}};
}

Method natural_gradient(const std::string& solver) {
  const auto options = natgrad::NaturalGradientOptions().solver(*all_solvers().at(solver));
  return [options](std::vector<Tensor> parameters) -> Step {
    auto optimizer = std::make_shared<natgrad::NaturalGradient>(std::move(parameters), options);
    return [optimizer](const Tensor& loss) { optimizer->step(loss); };
  };
}

Method adam(double rate) {
  return [rate](std::vector<Tensor> parameters) -> Step {
    auto optimizer = std::make_shared<torch::optim::Adam>(std::move(parameters), rate);
    return [optimizer](const Tensor& loss) {
      optimizer->zero_grad();
      loss.backward();
      optimizer->step();
    };
  };
}

/// Takes a step on each batch of an epoch, in random order; an incomplete last batch is left out.
void train_epoch(const Course& course, const Data& data, nn::Sequential& model, const Step& step,
                 const at::Generator& generator) {
  const int64_t whole_batches = data.size() / course.batch_size * course.batch_size;
  const auto order = examples::shuffled_rows(data.size(), generator).slice(0, 0, whole_batches);
  for (const auto& rows : order.split(course.batch_size)) {
    const auto z = model->forward(data.inputs.index_select(0, rows));
    step(course.task.loss(z, data.targets.index_select(0, rows)));
  }
}

/// The loss on the whole training set; one that is not finite counts as infinite.
double training_loss(const Task& task, const Data& data, nn::Sequential& model) {
  const torch::NoGradGuard no_grad;
  const double loss = task.loss(model->forward(data.inputs), data.targets).item<double>();
  return std::isfinite(loss) ? loss : std::numeric_limits<double>::infinity();
}

Run train(const Course& course, const Method& method) {
  using Clock = std::chrono::steady_clock;
  const Data data = course.task.load(course.seed);
  torch::manual_seed(course.seed);
  auto model = course.task.make_model();
  const auto step = method(model->parameters());
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(course.seed);
  Run run;
  run.start = run.highest = run.last = training_loss(course.task, data, model);
  for (int64_t epoch = 0; epoch < course.epochs; ++epoch) {
    const auto begin = Clock::now();
    train_epoch(course, data, model, step, generator);
    run.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
    run.last = training_loss(course.task, data, model);
    run.highest = std::max(run.highest, run.last);
    if (run.last < course.goal) run.seconds_to_goal = std::min(run.seconds_to_goal, run.seconds);
  }
  return run;
}

std::vector<Run> train_all_seeds(Course course, const Method& method, int64_t seeds) {
  std::vector<Run> runs;
  for (course.seed = 0; course.seed < static_cast<uint64_t>(seeds); ++course.seed) {
    runs.push_back(train(course, method));
  }
  return runs;
}

double mean(const std::vector<Run>& runs, double Run::*value) {
  double sum = 0;
  for (const auto& run : runs) sum += run.*value;
  return sum / static_cast<double>(runs.size());
}

/// The runs of Adam's best rate: the one that reaches a goal first, else ends lowest.
struct AdamsBest {
  double rate = 0;
  std::vector<Run> runs;
};

AdamsBest train_with_adam(const Course& course, int64_t seeds) {
  AdamsBest best;
  for (const double rate : examples::kAdamRates) {
    auto runs = train_all_seeds(course, adam(rate), seeds);
    const bool by_goal = std::isfinite(mean(runs, &Run::seconds_to_goal));
    const auto value = by_goal ? &Run::seconds_to_goal : &Run::last;
    if (best.runs.empty() || mean(runs, value) < mean(best.runs, value)) {
      best = {rate, std::move(runs)};
    }
  }
  return best;
}

/// Trains one cell, prints its line, and says whether it passes.
bool run_cell(const std::string& name, const std::string& batch, const Settings& settings) {
  const Task& task = all_tasks().at(name);
  const int64_t size = task.load(0).size();
  const int64_t batch_size = batch == "full" ? size : std::min<int64_t>(size, std::stoll(batch));
  const Course course{task, settings.epochs ? settings.epochs : task.epochs, batch_size, 0,
                      settings.goal};
  const auto natural = train_all_seeds(course, natural_gradient(settings.solver), settings.seeds);
  const auto adams = train_with_adam(course, settings.seeds);

  int64_t below_adam = 0;
  bool below_start = true;
  for (size_t i = 0; i < natural.size(); ++i) {
    below_adam += natural[i].last < adams.runs[i].last;
    below_start = below_start && natural[i].highest <= natural[i].start;
  }
  const double loss = mean(natural, &Run::last), adams_loss = mean(adams.runs, &Run::last);
  const bool passes = below_start && loss < adams_loss;
  fmt::print("| {} | {} | {:.3g} | {:.3g} ({:g}) | {:.2f} | {}/{} | {} | {:.1f} / {:.1f} | {} |\n",
             name, batch, loss, adams_loss, adams.rate, loss / adams_loss, below_adam,
             settings.seeds, below_start ? "yes" : "no", mean(natural, &Run::seconds),
             mean(adams.runs, &Run::seconds), passes ? "pass" : "FAIL");
  if (settings.goal > 0) {
    fmt::print("  seconds to a loss of {:g}: {:.2f}, Adam's best {:.2f}\n", settings.goal,
               mean(natural, &Run::seconds_to_goal), mean(adams.runs, &Run::seconds_to_goal));
  }
  std::fflush(stdout);
  return passes;
}

void run(const Settings& settings) {
  torch::set_num_threads(1);
  for (const auto& name : settings.tasks) {
    fmt::print("{}: {}\n", name, all_tasks().at(name).description);
  }
  fmt::print(
      "\n| task | batch | natgrad | Adam's best (rate) | ratio | seeds below | never above start | "
      "seconds, natgrad / Adam | |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  size_t passed = 0;
  for (const auto& task : settings.tasks) {
    for (const auto& batch : settings.batches) passed += run_cell(task, batch, settings);
  }
  fmt::print("\n{} of {} cells pass.\n", passed, settings.tasks.size() * settings.batches.size());
}

/// "full" or a whole number above zero.
std::string check_batch(const std::string& text) {
  const bool number = !text.empty() && text.size() < 10 && text[0] != '0' &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  return number || text == "full" ? "" : "a batch size is a whole number above 0, or full: " + text;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  std::vector<std::string> names;
  for (const auto& [name, task] : all_tasks()) names.push_back(name);
  CLI::App app("Default options against Adam's best of three rates, by batch size.");
  app.add_option("--tasks", settings.tasks, "comma-separated")
      ->delimiter(',')
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  app.add_option("--batches", settings.batches, "comma-separated; 'full' is the training set")
      ->delimiter(',')
      ->check(CLI::Validator(check_batch, "BATCH"))
      ->capture_default_str();
  app.add_option("--epochs", settings.epochs, "instead of the task's own number")
      ->check(CLI::PositiveNumber);
  app.add_option("--goal", settings.goal, "a training loss to be reached")
      ->check(CLI::PositiveNumber);
  app.add_option("--solver", settings.solver)
      ->check(CLI::IsMember({"default", "iterations", "dual"}))
      ->capture_default_str();
  app.add_option("--seeds", settings.seeds, "as many, from 0")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  examples::parse_or_exit(app, argc, argv);
  return examples::exit_code("batch_sizes", [&] { run(settings); });
}
