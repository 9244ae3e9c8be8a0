#pragma once

#include <string>
#include <vector>

#include "support/json.h"

namespace benchmarks {

/// A page of Markdown tables, printed line by line as it grows, and kept: as text, and as JSON.
class Page {
 public:
  void line(const std::string& text);
  void heading(const std::string& text);
  /// Begins a table of these columns, under the last heading.
  void head(const std::vector<std::string>& columns);
  void row(const std::vector<std::string>& cells);
  /// What was found, and whether it is within its bar.
  void bar(const std::string& found, bool passes);

  const std::string& text() const { return text_; }
  /// [{"title", "columns", "rows"}], the cells as printed.
  const examples::Json& tables() const { return tables_; }
  /// [{"found", "passes"}]
  const examples::Json& bars() const { return bars_; }

 private:
  std::string title_, text_;
  examples::Json tables_ = examples::Json::array(), bars_ = examples::Json::array();
};

}  // namespace benchmarks
