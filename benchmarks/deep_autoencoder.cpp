// The standard deep autoencoder of curves: training objective against seconds of optimization, for
// Adam, L-BFGS, Hessian-free optimization and K-FAC, the latter two as `natgrad::presets` has them.
// All have the same images and start. Seconds are those of the processor, on one thread, without
// the evaluations between steps. `--help` lists the options.

#include <fmt/format.h>
#include <natgrad/natgrad.h>
#include <natgrad/optim/presets.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <functional>
#include <limits>
#include <map>

#include "support/autoencoder.h"
#include "support/command_line.h"
#include "support/curves.h"
#include "support/dataset.h"
#include "support/json.h"
#include "support/kfac_costs.h"
#include "support/output_files.h"
#include "support/page.h"
#include "support/picture.h"
#include "support/results.h"

namespace nn = torch::nn;
using torch::Tensor;

namespace {

constexpr int64_t kTrainingImages = 5000, kTestImages = 1000;
constexpr int64_t kAdamsBatch = 200, kKfacBatch = 500, kHessianFreeBatch = 500;
constexpr std::array<double, 5> kGoals = {100, 60, 50, 45, 42};  // nats an image

struct Settings {
  std::vector<std::string> methods = {"adam_1e-3",    "adam_3e-3", "lbfgs",
                                      "hessian_free", "kfac",      "kfac_by_model"};
  double seconds = 120;
  double interval = 2;  // seconds of optimization from one evaluation to the next
  uint64_t seed = 0;
  std::string output = "deep_autoencoder";
};

struct Images {
  Tensor training, test;
};

/// Where training stands.
struct Record {
  double seconds = 0, objective = 0, test = 0;
  int64_t steps = 0;
};

struct Curve {
  std::string method;
  std::vector<Record> records;
};

/// Batches of an epoch in random order; an incomplete last one is left out.
class BatchStream {
 public:
  BatchStream(Tensor images, int64_t size, uint64_t seed)
      : images_(std::move(images)), size_(size), generator_(natgrad::make_generator(seed, 1)) {}

  Tensor next() {
    if (!rows_.defined() || place_ + size_ > images_.size(0)) {
      rows_ = examples::shuffled_rows(images_.size(0), generator_);
      place_ = 0;
    }
    place_ += size_;
    return images_.index_select(0, rows_.narrow(0, place_ - size_, size_));
  }

 private:
  Tensor images_, rows_;
  int64_t size_, place_ = 0;
  at::Generator generator_;
};

Tensor loss_of(nn::Sequential& model, const Tensor& images) {
  return benchmarks::reconstruction_loss(model->forward(images), images);
}

natgrad::Batch batch_of(nn::Sequential model, const Tensor& images) {
  return natgrad::Batch([=]() mutable { return loss_of(model, images); });
}

// ---- The methods: each makes, for a model and its images, what takes a step. ----

using Step = std::function<void()>;
using Method = std::function<Step(nn::Sequential model, const Tensor& images, uint64_t seed)>;

Method adam(double rate) {
  return [rate](nn::Sequential model, const Tensor& images, uint64_t seed) -> Step {
    auto optimizer = std::make_shared<torch::optim::Adam>(model->parameters(), rate);
    auto batches = std::make_shared<BatchStream>(images, kAdamsBatch, seed);
    return [=]() mutable {
      optimizer->zero_grad();
      loss_of(model, batches->next()).backward();
      optimizer->step();
    };
  };
}

/// On the whole training set; a step is up to 5 iterations with their line searches.
Step lbfgs(nn::Sequential model, const Tensor& images, uint64_t) {
  auto optimizer = std::make_shared<torch::optim::LBFGS>(
      model->parameters(),
      torch::optim::LBFGSOptions(1).max_iter(5).history_size(20).line_search_fn("strong_wolfe"));
  return [=]() mutable {
    optimizer->step([&] {
      optimizer->zero_grad();
      auto loss = loss_of(model, images);
      loss.backward();
      return loss;
    });
  };
}

/// A new batch for each step, the same for gradient, curvature and trial losses: with the whole
/// training set a step takes seconds, and in two minutes is still on the plateau of the mean image.
Step hessian_free(nn::Sequential model, const Tensor& images, uint64_t seed) {
  auto optimizer = std::make_shared<natgrad::NaturalGradient>(model->parameters(),
                                                              natgrad::presets::hessian_free());
  auto batches = std::make_shared<BatchStream>(images, kHessianFreeBatch, seed);
  return [=]() mutable {
    const auto batch = batches->next();
    optimizer->step([&] { return loss_of(model, batch); });
  };
}

/// An eighth of each batch gives the factors and, if there is one, the quadratic model.
Method kfac(const natgrad::NaturalGradientOptions& options) {
  return [options](nn::Sequential model, const Tensor& images, uint64_t seed) -> Step {
    auto optimizer = std::make_shared<natgrad::NaturalGradient>(model->parameters(), options);
    auto batches = std::make_shared<BatchStream>(images, kKfacBatch, seed);
    return [=]() mutable {
      const auto batch = batches->next();
      const auto eighth = batch.slice(0, 0, batch.size(0) / 8);
      optimizer->step(natgrad::Batches{batch_of(model, batch), batch_of(model, eighth)});
    };
  };
}

const std::map<std::string, Method>& all_methods() {
  const auto preset = natgrad::presets::kfac();
  auto by_model = preset;
  by_model.step_rule(natgrad::QuadraticModelStep());
  static const std::map<std::string, Method> methods = {
      {"adam_1e-3", adam(1e-3)},      {"adam_3e-3", adam(3e-3)}, {"lbfgs", lbfgs},
      {"hessian_free", hessian_free}, {"kfac", kfac(preset)},    {"kfac_by_model", kfac(by_model)}};
  return methods;
}

// ---- Training. ----

double processor_seconds() {
  return static_cast<double>(std::clock()) / static_cast<double>(CLOCKS_PER_SEC);
}

/// In nats an image; what is not finite counts as infinite.
double objective(nn::Sequential& model, const Tensor& images) {
  const torch::NoGradGuard no_grad;
  const double loss = loss_of(model, images).item<double>();
  return std::isfinite(loss) ? loss : std::numeric_limits<double>::infinity();
}

Curve train(const std::string& name, const Images& images, const Settings& settings) {
  auto model = benchmarks::make_autoencoder(settings.seed);
  const auto step = all_methods().at(name)(model, images.training, settings.seed);
  Curve curve{name, {}};
  Record now;
  const auto evaluate = [&] {
    now.objective = objective(model, images.training);
    now.test = objective(model, images.test);
    curve.records.push_back(now);
    fmt::print("{:<13}{:>8.1f} s{:>8} steps{:>10.2f} nats{:>10.2f} on test images\n", name,
               now.seconds, now.steps, now.objective, now.test);
    std::fflush(stdout);
  };
  evaluate();
  while (now.seconds < settings.seconds && std::isfinite(now.objective)) {
    const double begin = processor_seconds();
    step();
    now.seconds += processor_seconds() - begin;
    ++now.steps;
    if (now.seconds >= curve.records.back().seconds + settings.interval) evaluate();
  }
  if (curve.records.back().steps != now.steps) evaluate();
  return curve;
}

// ---- The report. ----

/// When the objective was first below `goal`, or "-".
std::string seconds_to(double goal, const Curve& curve) {
  for (const auto& record : curve.records) {
    if (record.objective < goal) return fmt::format("{:.0f}", record.seconds);
  }
  return "-";
}

/// The largest objective over the best one before it: above 2 is a spike.
double worst_rise(const Curve& curve) {
  double best = std::numeric_limits<double>::infinity(), worst = 0;
  for (const auto& record : curve.records) {
    best = std::min(best, record.objective);
    worst = std::max(worst, record.objective / best);
  }
  return worst;
}

void add_table(const std::vector<Curve>& curves, benchmarks::Page& page) {
  page.heading("Deep autoencoder of curves");
  std::vector<std::string> columns = {"method"};
  for (const double goal : kGoals) columns.push_back(fmt::format("seconds to {:g} nats", goal));
  columns.insert(columns.end(),
                 {"end, nats", "test, nats", "worst over best before", "steps", "ms a step"});
  page.head(columns);
  for (const auto& curve : curves) {
    std::vector<std::string> row = {curve.method};
    for (const double goal : kGoals) row.push_back(seconds_to(goal, curve));
    const auto& end = curve.records.back();
    const auto steps = static_cast<double>(std::max<int64_t>(end.steps, 1));
    for (const double value : {end.objective, end.test, worst_rise(curve)}) {
      row.push_back(fmt::format("{:.2f}", value));
    }
    row.push_back(std::to_string(end.steps));
    row.push_back(fmt::format("{:.1f}", 1e3 * end.seconds / steps));
    page.row(row);
  }
}

examples::Json to_json(const std::vector<Curve>& curves) {
  examples::Json json = {{"title", "Deep autoencoder of curves, 784-400-200-100-50-25-6"}};
  for (const auto& curve : curves) {
    examples::Json entry = {{"method", curve.method}};
    for (const auto& record : curve.records) {
      entry["seconds"].push_back(record.seconds);
      entry["objective"].push_back(record.objective);
      entry["test"].push_back(record.test);
      entry["steps"].push_back(record.steps);
    }
    json["curves"].push_back(std::move(entry));
  }
  return json;
}

void run(const Settings& settings) {
  torch::set_num_threads(1);
  examples::check_output(settings.output);
  const Images images{benchmarks::draw_curves(kTrainingImages, settings.seed),
                      benchmarks::draw_curves(kTestImages, settings.seed + 1)};
  std::vector<Curve> curves;
  for (const auto& name : settings.methods) curves.push_back(train(name, images, settings));
  benchmarks::Page page;
  add_table(curves, page);
  benchmarks::add_kfac_costs(images.training.slice(0, 0, kKfacBatch), settings.seed, page);
  benchmarks::write_results(settings.output + ".json", page, {{"seed", settings.seed}},
                            to_json(curves));
  examples::draw_picture("plot_objectives.py", settings.output);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  std::vector<std::string> names;
  for (const auto& [name, method] : all_methods()) names.push_back(name);
  CLI::App app("Training objective of a deep autoencoder against seconds, by method.",
               "deep_autoencoder");
  app.add_option("--method", settings.methods, "comma-separated")
      ->delimiter(',')
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  app.add_option("--seconds", settings.seconds, "of optimization, for each method")
      ->check(CLI::PositiveNumber)
      ->check(examples::not_nan)
      ->capture_default_str();
  app.add_option("--interval", settings.interval, "seconds of optimization between evaluations")
      ->check(CLI::PositiveNumber)
      ->check(examples::not_nan)
      ->capture_default_str();
  examples::add_seed(app, settings.seed, "of the images, the start and the batches");
  examples::add_output(app, settings.output);
  examples::parse_or_exit(app, argc, argv);
  return examples::exit_code("deep_autoencoder", [&] { run(settings); });
}
