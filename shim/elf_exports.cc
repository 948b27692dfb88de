#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

#include <elf.h>

#include "shim/front_writer.h"

namespace okibi::shim {
namespace {

// Of a symbol. The longest of a driver has some sixty characters.
constexpr std::size_t kLongestName = 1024;

// A library's bytes, read with bounds checked: the file comes from elsewhere.
class Image {
 public:
  explicit Image(std::string bytes) : bytes_(std::move(bytes)) {}

  template <class T>
  std::optional<T> at(std::uint64_t offset) const {
    T value;
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof value) return std::nullopt;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }

  // A NUL-terminated string.
  std::optional<std::string> text(std::uint64_t offset) const {
    const std::size_t end = offset < bytes_.size() ? bytes_.find('\0', offset) : std::string::npos;
    if (end == std::string::npos) return std::nullopt;
    return bytes_.substr(offset, end - offset);
  }

  bool readHeaders() {
    const auto header = at<Elf64_Ehdr>(0);
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return false;
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 ||
        header->e_type != ET_DYN)
      return false;
    for (unsigned i = 0; i < header->e_phnum; ++i) {
      const auto segment = at<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr));
      if (!segment) return false;
      segments_.push_back(*segment);
    }
    return true;
  }

  std::optional<std::uint64_t> offsetOf(std::uint64_t address) const {
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
          address - segment.p_vaddr < segment.p_filesz)
        return segment.p_offset + (address - segment.p_vaddr);
    }
    return std::nullopt;
  }

  const std::vector<Elf64_Phdr>& segments() const { return segments_; }

 private:
  std::string bytes_;
  std::vector<Elf64_Phdr> segments_;
};

struct Dynamic {
  std::uint64_t symbols = 0, strings = 0, hash = 0, gnuHash = 0;
  std::optional<std::uint64_t> soname;
};

void note(const Image& image, const Elf64_Dyn& entry, Dynamic& dynamic) {
  const auto place = [&] { return image.offsetOf(entry.d_un.d_ptr).value_or(0); };
  if (entry.d_tag == DT_SYMTAB) dynamic.symbols = place();
  if (entry.d_tag == DT_STRTAB) dynamic.strings = place();
  if (entry.d_tag == DT_HASH) dynamic.hash = place();
  if (entry.d_tag == DT_GNU_HASH) dynamic.gnuHash = place();
  if (entry.d_tag == DT_SONAME) dynamic.soname = entry.d_un.d_val;
}

Dynamic readDynamic(const Image& image) {
  Dynamic dynamic;
  for (const Elf64_Phdr& segment : image.segments()) {
    if (segment.p_type != PT_DYNAMIC) continue;
    for (std::uint64_t i = 0; i < segment.p_filesz / sizeof(Elf64_Dyn); ++i) {
      const auto entry = image.at<Elf64_Dyn>(segment.p_offset + i * sizeof(Elf64_Dyn));
      if (!entry || entry->d_tag == DT_NULL) break;
      note(image, *entry, dynamic);
    }
  }
  return dynamic;
}

// The GNU hash table does not say how many symbols there are: it is one more than the end of the
// last chain.
std::optional<std::uint32_t> countByGnuHash(const Image& image, std::uint64_t at) {
  const auto buckets = image.at<std::uint32_t>(at), first = image.at<std::uint32_t>(at + 4),
             bloom = image.at<std::uint32_t>(at + 8);
  if (!buckets || !first || !bloom) return std::nullopt;
  const std::uint64_t bucketsAt = at + 16 + std::uint64_t{*bloom} * 8;
  const std::uint64_t chainsAt = bucketsAt + std::uint64_t{*buckets} * 4;
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < *buckets; ++i) {
    const auto start = image.at<std::uint32_t>(bucketsAt + std::uint64_t{i} * 4);
    if (!start) return std::nullopt;
    last = std::max(last, *start);
  }
  if (last < *first) return *first;
  while (true) {
    const auto link = image.at<std::uint32_t>(chainsAt + std::uint64_t{last - *first} * 4);
    if (!link) return std::nullopt;
    ++last;
    if (*link & 1) return last;
  }
}

std::optional<std::uint32_t> countSymbols(const Image& image, const Dynamic& dynamic) {
  if (dynamic.hash) return image.at<std::uint32_t>(dynamic.hash + 4);
  if (dynamic.gnuHash) return countByGnuHash(image, dynamic.gnuHash);
  return std::nullopt;
}

void sortOnce(std::vector<std::string>& names) {
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
}

bool isData(unsigned char type) {
  return type == STT_OBJECT || type == STT_TLS || type == STT_COMMON;
}

std::expected<Exports, std::string> listExports(const Image& image, const Dynamic& dynamic,
                                                std::uint32_t count) {
  Exports exports;
  for (std::uint32_t i = 1; i < count; ++i) {
    const auto symbol = image.at<Elf64_Sym>(dynamic.symbols + std::uint64_t{i} * sizeof(Elf64_Sym));
    if (!symbol) return std::unexpected("its symbol table reaches beyond the file");
    const unsigned char bind = ELF64_ST_BIND(symbol->st_info);
    if (symbol->st_shndx == SHN_UNDEF || (bind != STB_GLOBAL && bind != STB_WEAK)) continue;
    if (ELF64_ST_VISIBILITY(symbol->st_other) == STV_HIDDEN) continue;
    const auto name = image.text(dynamic.strings + symbol->st_name);
    if (!name || name->empty()) return std::unexpected("a symbol's name lies outside the file");
    if (name->size() > kLongestName) return std::unexpected("a symbol's name is no name");
    const unsigned char type = ELF64_ST_TYPE(symbol->st_info);
    // The linker's own marks (_init, _edata) are not for others.
    if ((*name)[0] == '_' && type == STT_NOTYPE) continue;
    (isData(type) ? exports.data : exports.functions).push_back(*name);
  }
  sortOnce(exports.functions);
  sortOnce(exports.data);
  return exports;
}

}  // namespace

std::expected<Exports, std::string> exportsOf(std::string bytes) {
  Image image(std::move(bytes));
  if (!image.readHeaders()) return std::unexpected("not a shared library for x86-64");
  const Dynamic dynamic = readDynamic(image);
  const auto count = countSymbols(image, dynamic);
  if (!dynamic.symbols || !dynamic.strings || !count)
    return std::unexpected("has no readable dynamic symbol table");
  auto exports = listExports(image, dynamic, *count);
  if (!exports) return exports;
  if (exports->functions.empty()) return std::unexpected("exports no function");
  if (dynamic.soname) exports->soname = image.text(dynamic.strings + *dynamic.soname).value_or("");
  return exports;
}

std::expected<Exports, std::string> readExports(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::unexpected(path + ": cannot be read");
  auto exports = exportsOf(std::string(std::istreambuf_iterator<char>(file), {}));
  if (!exports) return std::unexpected(path + ": " + exports.error());
  return exports;
}

}  // namespace okibi::shim
