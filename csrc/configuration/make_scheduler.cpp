#include <natgrad/configuration/make_scheduler.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "configuration/settings.h"
#include "optim/archive_entries.h"

namespace natgrad {

namespace {

/// The factor of a rate once t periods have ended.
using Factor = std::function<double(double t)>;
using SchedulerPtr = std::unique_ptr<Scheduler>;
using SchedulerOf = std::function<SchedulerPtr(torch::optim::Optimizer& optimizer)>;

// ---- What an archive holds of a schedule: its kind, and numbers. ----

constexpr const char *kKind = "natgrad_schedule", *kRates = "rates", *kPlace = "place";

void save_schedule(torch::serialize::OutputArchive& archive, const std::string& kind,
                   const std::vector<double>& rates, const std::vector<double>& place) {
  write_text(archive, kKind, kind);
  write_numbers(archive, kRates, rates);
  write_numbers(archive, kPlace, place);
}

struct Saved {
  std::vector<double> rates, place;
};

Saved load_schedule(torch::serialize::InputArchive& archive, const std::string& kind, size_t groups,
                    size_t numbers) {
  const auto saved = read_text_if_there(archive, kKind).value_or("something else");
  TORCH_CHECK(saved == kind, "natgrad: the archive holds ", saved, ", and this is ", kind,
              ". Make the schedule from the configuration that it was saved with.");
  Saved read{read_numbers(archive, kRates), read_numbers(archive, kPlace)};
  TORCH_CHECK(read.rates.size() == groups, "natgrad: the archive's schedule is of ",
              read.rates.size(), " parameter groups, and the optimizer has ", groups, ".");
  TORCH_CHECK(read.place.size() == numbers,
              "natgrad: the archive's schedule is of another version "
              "of natgrad.");
  return read;
}

// ---- The schedules. ----

/// LibTorch's scheduler with a rate of lr₀ times the factor.
class FactorLR final : public torch::optim::LRScheduler {
 public:
  FactorLR(torch::optim::Optimizer& optimizer, Factor factor)
      : LRScheduler(optimizer), factor_(std::move(factor)), initial_(get_current_lrs()) {
    LRScheduler::step();  // the factor of t = 0, and the next step is that to 1
  }

  const std::vector<double>& initial() const { return initial_; }
  unsigned ended() const { return step_count_ - 1; }
  void go_on(std::vector<double> initial, unsigned ended) {
    initial_ = std::move(initial);
    step_count_ = ended;
    LRScheduler::step();
  }

 private:
  std::vector<double> get_lrs() override {
    auto rates = initial_;
    for (auto& rate : rates) rate *= factor_(step_count_);
    return rates;
  }

  Factor factor_;
  std::vector<double> initial_;
};

class FactorScheduler final : public Scheduler {
 public:
  FactorScheduler(torch::optim::Optimizer& optimizer, Factor factor)
      : scheduler_(optimizer, std::move(factor)) {}
  void step(std::optional<double>) override { scheduler_.step(); }
  void save(torch::serialize::OutputArchive& archive) const override {
    save_schedule(archive, kName, scheduler_.initial(), {double(scheduler_.ended())});
  }
  void load(torch::serialize::InputArchive& archive) override {
    const auto [initial, place] = load_schedule(archive, kName, scheduler_.initial().size(), 1);
    scheduler_.go_on(initial, static_cast<unsigned>(place.at(0)));
  }

 private:
  static constexpr const char* kName = "a schedule of periods";
  FactorLR scheduler_;
};

/// PyTorch's rule. LibTorch's own, in 2.13, takes no metric below 0 for the best under "max", and
/// takes a constant one for ever better ones under "min".
class PlateauScheduler final : public Scheduler {
 public:
  struct Rule {
    bool is_lowest = true;  ///< the best metric is
    double factor = 0.1, threshold = 1e-4;
    int64_t patience = 10, cooldown = 0;
  };
  PlateauScheduler(torch::optim::Optimizer& optimizer, Rule rule)
      : optimizer_(optimizer), rule_(rule) {}

  void step(std::optional<double> metric) override {
    TORCH_CHECK_VALUE(metric, "natgrad: \"reduce_on_plateau\" goes by a metric: call step(loss).");
    const double cost = rule_.is_lowest ? *metric : -*metric;
    if (cost < least_cost_ - margin()) {
      least_cost_ = cost;
      bad_periods_ = 0;
    } else {
      ++bad_periods_;
    }
    if (cooling_ > 0) {
      --cooling_;
      bad_periods_ = 0;
    }
    if (bad_periods_ > rule_.patience) reduce();
  }
  void save(torch::serialize::OutputArchive& archive) const override {
    save_schedule(archive, kName, rates(), {least_cost_, double(bad_periods_), double(cooling_)});
  }
  void load(torch::serialize::InputArchive& archive) override {
    const auto [rates, place] = load_schedule(archive, kName, optimizer_.param_groups().size(), 3);
    least_cost_ = place.at(0);
    bad_periods_ = static_cast<int64_t>(place.at(1));
    cooling_ = static_cast<int64_t>(place.at(2));
    for (size_t i = 0; i < rates.size(); ++i) {
      optimizer_.param_groups()[i].options().set_lr(rates[i]);
    }
  }

 private:
  static constexpr const char* kName = "a schedule by a metric";

  std::vector<double> rates() const {
    std::vector<double> rates;
    for (auto& group : optimizer_.param_groups()) rates.push_back(group.options().get_lr());
    return rates;
  }
  double margin() const {
    return std::isfinite(least_cost_) ? rule_.threshold * std::abs(least_cost_) : 0;
  }
  void reduce() {
    for (auto& group : optimizer_.param_groups()) {
      auto& options = group.options();
      options.set_lr(options.get_lr() * rule_.factor);
    }
    cooling_ = rule_.cooldown;
    bad_periods_ = 0;
  }

  torch::optim::Optimizer& optimizer_;
  Rule rule_;
  double least_cost_ = std::numeric_limits<double>::infinity();
  int64_t bad_periods_ = 0, cooling_ = 0;
};

double positive(Settings& s, const char* name) {
  s.require(name);
  const double value = s.get(name, 0.);
  if (!(value > 0)) s.refuse(name, *s.find(name), "a number above 0");
  return value;
}

Factor step_factor(Settings& s) {
  const double size = positive(s, "step_size"), gamma = s.get("gamma", 0.1);
  return [=](double t) { return std::pow(gamma, std::floor(t / size)); };
}

Factor multistep_factor(Settings& s) {
  s.require("milestones");
  const auto milestones = s.get<std::vector<double>>("milestones", {});
  const double gamma = s.get("gamma", 0.1);
  return [=](double t) {
    return std::pow(gamma, std::count_if(milestones.begin(), milestones.end(),
                                         [&](double milestone) { return milestone <= t; }));
  };
}

Factor exponential_factor(Settings& s) {
  const double gamma = positive(s, "gamma");
  return [=](double t) { return std::pow(gamma, t); };
}

/// Of a schedule that ends; it has to begin before.
double periods_of(Settings& s) {
  const double periods = positive(s, "periods");
  if (static_cast<double>(s.get<uint64_t>("warmup", 0)) >= periods) {
    s.refuse("warmup", *s.find("warmup"), fmt::format("fewer than the {:g} periods", periods));
  }
  return periods;
}

Factor polynomial_factor(Settings& s) {
  const double periods = periods_of(s), power = s.get("power", 1.);
  return [=](double t) { return std::pow(1 - std::min(t / periods, 1.), power); };
}

Factor cosine_factor(Settings& s) {
  const double periods = periods_of(s), least = s.get("least", 0.);
  return [=](double t) {
    const double angle = std::numbers::pi * std::min(t / periods, 1.);
    return least + (1 - least) * (1 + std::cos(angle)) / 2;
  };
}

/// With the first periods in equal parts up to that factor.
std::function<SchedulerOf(Settings&)> by_factor(Factor (*read)(Settings&)) {
  return [read](Settings& s) -> SchedulerOf {
    const auto factor = read(s);
    const auto warmup = static_cast<double>(s.get<uint64_t>("warmup", 0));
    const Factor warmed = [=](double t) {
      return std::min((t + 1) / (warmup + 1), 1.) * factor(t);
    };
    return [=](torch::optim::Optimizer& optimizer) {
      return std::make_unique<FactorScheduler>(optimizer, warmed);
    };
  };
}

SchedulerOf reduce_on_plateau(Settings& s) {
  PlateauScheduler::Rule rule;
  s.choose("mode", {{"min", true}, {"max", false}}, rule.is_lowest);
  s.read("factor", rule.factor);
  s.read("threshold", rule.threshold);
  s.read("patience", rule.patience);
  s.read("cooldown", rule.cooldown);
  return [=](torch::optim::Optimizer& optimizer) {
    return std::make_unique<PlateauScheduler>(optimizer, rule);
  };
}

const Makers<SchedulerOf>& scheduler_makers() {
  static const Makers<SchedulerOf> makers = {
      {"constant", by_factor([](Settings&) -> Factor { return [](double) { return 1.; }; })},
      {"step", by_factor(step_factor)},
      {"multistep", by_factor(multistep_factor)},
      {"exponential", by_factor(exponential_factor)},
      {"polynomial", by_factor(polynomial_factor)},
      {"cosine", by_factor(cosine_factor)},
      {"reduce_on_plateau", reduce_on_plateau}};
  return makers;
}

}  // namespace

SchedulerPtr make_scheduler(torch::optim::Optimizer& optimizer, const std::string& json) {
  auto settings = Settings::parse("the scheduler", json);
  return make(settings, scheduler_makers())(optimizer);
}

torch::serialize::OutputArchive& operator<<(torch::serialize::OutputArchive& archive,
                                            const Scheduler& scheduler) {
  scheduler.save(archive);
  return archive;
}

torch::serialize::InputArchive& operator>>(torch::serialize::InputArchive& archive,
                                           Scheduler& scheduler) {
  scheduler.load(archive);
  return archive;
}

}  // namespace natgrad
